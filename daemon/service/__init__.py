"""What a session is to the machine that it runs on: a service that tells how it is, is watched, and can be stopped."""
