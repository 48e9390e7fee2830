from ccserver.standalone.command import main

main()
