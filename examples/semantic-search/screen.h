/* The terminal: a line that is typed into, and what is shown below it. */
#ifndef SEMANTIC_SEARCH_SCREEN_H
#define SEMANTIC_SEARCH_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

/* Prints the answers to a query, lines of at most `columns`; the number of lines, -1 after a failure. */
typedef int (*answer_fn)(void *user, const char *query, int columns);

/* Reads queries until the end of input, Ctrl-C or Escape: from a terminal as they are typed, else a line
 * each. False after a failure to answer. */
bool ask(answer_fn answer, void *user);

/* Prints a head and as much of a text, its blanks made one each, as fits the columns. */
void print_line(const char *head, const char *text, size_t size, int columns);

#endif
