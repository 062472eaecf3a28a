"""What privacy law asks for: erasure of a data subject, the residue scan after it, subject access requests."""
