"""Realtime: sources of alerts, the service of sky scans, and what is done from an event to its entry in a release.

It owns clocks and retries, asks the questions of the rooms below, and has no statistics.  It reads; it cannot send.
"""
