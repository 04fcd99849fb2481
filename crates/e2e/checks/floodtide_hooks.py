"""What schemathesis can't know: how a body of TOML is sent."""

import schemathesis


@schemathesis.serializer("application/toml")
def toml(ctx, value):
    return value if isinstance(value, bytes) else str(value).encode()
