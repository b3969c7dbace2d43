"""The product: one turn of the agent, its tools, and its faces (terminal, command line)."""
