"""The conversation as a Markov decision process: states, actions, rewards, simulated people, benches.

`attune/Conversation-v0` is registered by `import env.conversation`, or by gymnasium itself with
`gymnasium.make("env.conversation:attune/Conversation-v0")`; so is `attune/Replay-v0`, the owner's own
journal, by `env.replay`. They are not registered here: gymnasium and numpy would then load with every
start of the terminal, before its first screen.
"""
