"""What others read. Each module turns `Report`s into bytes: same reports, same bytes.

Nothing here grades; it imports core and adapters.
"""
