"""How good the methods are: metrics, reports and tables."""
