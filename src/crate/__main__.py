"""Starts crate: `python3 -I -S <this file> ARGUMENTS`, as the installed `crate` does.

It is compiled at each start, so it holds nothing else; the rest comes from compiled files.
"""

import gc
import os
import sys

gc.disable()  # hot commands end before a collection could pay
package = os.path.dirname(__file__)
sys.path.append(os.path.dirname(package))

try:
    from crate import hotcore

    hotcore.install(package)
    hotcore.load("start")
    from crate import late_site
    from crate.cli import app
except (OSError, ImportError) as error:  # a failing disk, no free descriptor, a damaged installation
    os.write(2, f"Error: cannot load crate: {error}\n".encode())
    os._exit(125)

late_site.install()
status = app.main(sys.argv[1:])
if app.was_hot():
    hotcore.learn()
os._exit(status)  # 0.9 ms less than an orderly end of the interpreter
