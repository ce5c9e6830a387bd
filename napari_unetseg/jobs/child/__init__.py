"""The process in which jobs run: ``python -m napari_unetseg.jobs.child``.

``__main__`` takes commands from stdin one after the other and reports on stdout. What needs the
network library lies in modules that are imported when it has been loaded.
"""
