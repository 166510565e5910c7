"""The pages for people, and the build of the libraries they load."""
