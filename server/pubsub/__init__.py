"""Messages to subscribers: who listens on this node, and the lane that carries what is published to the others."""
