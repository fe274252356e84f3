"""The network, in the order the data meets it: features, encoder, head; then its loss, checkpoint and export."""
