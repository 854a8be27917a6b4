"""One stage of one image as a job: what its key is made of, and how it is carried out, here or in another process."""
