from clipzy_api.cli import main

main()
