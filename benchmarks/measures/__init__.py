"""Speed and memory, each row beside a reference measured in the same run.

``report.run`` measures and returns a frozen ``Report``; ``page`` and ``figures`` say it.  Nothing here is asserted: a
busy machine must not turn a right program red.
"""
