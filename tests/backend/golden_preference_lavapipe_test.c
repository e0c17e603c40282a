#include "kit/golden.h"

int main(void)
{
    return preference_main("lavapipe");
}
