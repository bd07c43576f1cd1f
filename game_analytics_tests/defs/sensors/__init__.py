"""Each row of the sensors' contract, called directly and evaluated as by the daemon."""
