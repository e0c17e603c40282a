/* The one home of the version; CMake reads this line. */
#ifndef TUFF_BASE_VERSION_H
#define TUFF_BASE_VERSION_H

#define TUFF_VERSION "0.1.0"

#endif
