"""The compile decorator, on classes and on live modules: it compiles, narrates what it does in torch's structured trace, and shows nothing."""
