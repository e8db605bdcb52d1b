"""What CI and a release do beyond the product: each `run:` of a workflow is a make target."""
