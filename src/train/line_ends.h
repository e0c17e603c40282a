/* Line ends of texts that come from Windows. */
#ifndef TUFF_TRAIN_LINE_ENDS_H
#define TUFF_TRAIN_LINE_ENDS_H

#include <stddef.h>

/* Makes "\n" of each "\r\n" of data[0..*size), and *size less; how many there were. */
size_t tuff_turn_line_ends(char *data, size_t *size);

#endif
