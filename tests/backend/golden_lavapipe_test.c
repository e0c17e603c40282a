#include "kit/golden.h"

int main(void)
{
    return golden_main("lavapipe");
}
