"""How keys and values lie in an ordered store, and the view through which commands see them."""
