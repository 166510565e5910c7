"""The HTTP surface: one module per resource, each only taking requests apart and putting
answers together."""
