#include "textflag.h"

// func through(f func() int): without a frame of its own.
TEXT ·through(SB), NOSPLIT, $0-8
	MOVQ f+0(FP), DX
	MOVQ (DX), AX
	CALL AX
	RET

// func forger(f func() int): while f runs, the frame pointer shows two words of this frame: no caller,
// and an address of code.
TEXT ·forger(SB), NOSPLIT, $32-8
	MOVQ f+0(FP), DX
	MOVQ $0, 8(SP)
	LEAQ ·through+1(SB), AX
	MOVQ AX, 16(SP)
	MOVQ BP, 24(SP)
	LEAQ 8(SP), BP
	MOVQ (DX), AX
	CALL AX
	MOVQ 24(SP), BP
	RET
