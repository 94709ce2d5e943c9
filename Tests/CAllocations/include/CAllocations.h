// Counts heap allocations thread by thread: malloc and its kin of this library take the place of glibc's in the test program.
#ifndef MARTLET_CALLOCATIONS_H
#define MARTLET_CALLOCATIONS_H

/// Allocations (malloc, calloc, realloc, aligned ones) that the calling thread has made so far.
unsigned long martlet_allocations_of_thread(void);

#endif
