"""The website: its source pages, navigation and configuration, and the command that builds it (`make site`)."""
