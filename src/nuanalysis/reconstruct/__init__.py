"""Sky scans of single events: which directions to try, contours with calibrated containment, maps.

Arrays in, arrays out; any likelihood that can hold a direction is scanned alike.
"""

from nuanalysis.reconstruct._records import EventLikelihood, Profile
