"""Folders of regressors' results, refined at scale: `refine run`, `refine watch`.

    results, photos, keypoints  --plan-->  chunks  --read | solve | write-->  committed  -->  the same files, refined

    plan.py       what there is to do, and in which chunks       manifest.py   that, written down
    results.py    the result files of a folder             photos.py    the photos, and which belongs to which result
    keypoints.py  the keypoint files                       detected.py  who was detected in a photo
    locate.py     one result, and whose photo is whose     read.py      the same prepared for the method, in pieces
    tracks.py     people over time                         piece.py      what is handed on: pieces, tracks
    batch.py      people of several photos in one batch    chunk.py     read, solve and write chunks, overlapped
    store.py      what is committed, and the lock          run.py       all of it, on this machine or on a Ray cluster
    video_file.py a track file put together from parts     outcome.py   what became of each result: log, summary, status

The unit of work is a chunk: it is written to a temporary folder, synchronised to the disk and renamed, so that it is
there whole or not at all.
"""
