import sys

from ccserver.demo import main

sys.exit(main(sys.argv[1:]))
