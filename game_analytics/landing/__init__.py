"""Landing a day: find its window in the log, read it in slices, commit it by its manifest. Without Dagster.

Terms:

- *landing*: reading a day's window of the log into the lake. The *committed landing* of a day is the one whose manifest
  is stored at the day's key.
- *window*: the span of time in which a day's events may be delivered; the window is *closed* once it has passed.
- *slice*: a run of offsets of one partition, the unit of work and of retry.
- *late events*: events of another day that a landing came across. They are *missed* if that day's landing has not read
  them. A *finder* is a day whose landing found them. A day with missed events is *landed again*, up to where its
  finders have read.
"""
