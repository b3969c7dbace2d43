"""The product as the benches of `env.bench` want to see it: real runtimes behind their Protocols."""
