/* Takes as long as the environment says (SLOW_MS), so that a run lasts. */
#ifndef SLOW_H
#define SLOW_H

void be_slow(void);

#endif
