/* What the loader does between two looks at the UART: one of the files idle_*.c. */
#ifndef EDGECOMP_LOADER_IDLE_H
#define EDGECOMP_LOADER_IDLE_H

/* Called once, after the UART and the clock have been started. */
void idle_prepare(void);

/* Returns at the latest when a byte has arrived or a millisecond has passed. */
void idle_wait(void);

/* Undoes what idle_prepare has set up, before the application starts. */
void idle_end(void);

#endif
