# Where the dynamic linker begins. The stack is the program's: it is handed on as it was.

        .globl  _start
_start: lgr     %r2,%r15
        aghi    %r15,-160
        xc      0(8,%r15),0(%r15)
        brasl   %r14,link_program       # returns where the program begins
        aghi    %r15,160
        br      %r2
        .section .note.GNU-stack,"",@progbits
