"""Photoroom Gateway: the service that microservices call instead of the Photoroom image API."""
