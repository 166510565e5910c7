"""What functions do with media: remux, playlists, verification. Knows no Celery."""
