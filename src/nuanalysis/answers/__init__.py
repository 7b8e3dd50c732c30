"""One file per question: what is asked, what is answered, and the function between them."""
