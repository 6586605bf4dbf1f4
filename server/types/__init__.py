"""What each data type means, over a view. No RESP and no Raft in here."""
