"""What the control API and the cold path share of jobs: states, how one is filed, and orders."""
