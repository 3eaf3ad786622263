package cortensor

// #include <cortensor_router.h>
import "C"

import "fmt"

// Version is the version of this module, the same in every language.
const Version = "0.1.0"

// LibraryVersion is the version of the linked library.
func LibraryVersion() string {
	return C.GoString(C.cortensor_version())
}

// checkABI refuses a shared library whose ABI is not the one that this module was built for.
func checkABI() error {
	if abi := uint32(C.cortensor_abi_version()); abi != C.CORTENSOR_ABI_VERSION {
		return local(KindInternal, "abi_mismatch", fmt.Sprintf(
			"the library has ABI %d, this module wants %d: install the library of version %s",
			abi, C.CORTENSOR_ABI_VERSION, Version))
	}
	return nil
}
