#include "kit/golden.h"

int main(void)
{
    return conversations_main("lavapipe");
}
