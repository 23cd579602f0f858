"""The builder of the documentation that is made from the code; see `envzoo.scripts.build_docs`."""
