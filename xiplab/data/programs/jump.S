# jump: to data, as if it were code.

        .globl  _start
_start: larl    %r1,data
        br      %r1
        .data
data:   .quad   0
        .section .note.GNU-stack,"",@progbits
