"""The shapes: ways of measuring that work for every function and every tracepoint."""
