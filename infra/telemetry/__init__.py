"""What every role says about itself: logs, metrics, health."""
