/* A button that keeps the loader from starting the application: one of the files button_*.c. */
#ifndef EDGECOMP_LOADER_BUTTON_H
#define EDGECOMP_LOADER_BUTTON_H

#include <stdint.h>

/* Makes the pin an input that is pulled to where the button is not pressed; called once. */
void button_prepare(void);

/* Whether the button is pressed at this moment. */
uint32_t button_is_pressed(void);

#endif
