"""Drawing, and every codec there and back."""

import io

from PIL import Image, ImageDraw, ImageFont, features

picture = Image.new("RGB", (64, 48), "white")
draw = ImageDraw.Draw(picture)
draw.rectangle((8, 8, 40, 40), fill=(200, 30, 30))
draw.text((10, 20), "slim", fill="black", font=ImageFont.load_default(12))
for name in ("PNG", "JPEG", "WEBP", "TIFF", "GIF", "JPEG2000", "AVIF"):
    stream = io.BytesIO()
    picture.save(stream, name)
    again = Image.open(io.BytesIO(stream.getvalue())).convert("RGB")
    assert again.size == (64, 48), name
    red, green, blue = again.getpixel((36, 12))
    assert red > 150 and green < 90 and blue < 90, (name, red, green, blue)
assert picture.resize((16, 12), Image.Resampling.LANCZOS).size == (16, 12)
assert features.check("freetype2")
print("ok")
