"""Parsing, XPath, XSLT, validation, and encodings that libxml2 has not itself."""

from lxml import etree, html

page = html.fromstring("<p>one<p class=x>two <b>three</b>")
assert page.xpath("string(//p[@class='x'])") == "two three"
style = etree.XSLT(etree.XML(
    '<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'
    '<xsl:template match="/a"><b><xsl:value-of select="sum(c)"/></b></xsl:template></xsl:stylesheet>'
))  # fmt: skip
assert str(style(etree.XML("<a><c>20</c><c>22</c></a>"))).endswith("<b>42</b>\n")
grammar = etree.RelaxNG(etree.XML(
    '<element name="a" xmlns="http://relaxng.org/ns/structure/1.0"><oneOrMore>'
    '<element name="c"><text/></element></oneOrMore></element>'
))  # fmt: skip
assert grammar.validate(etree.XML("<a><c/></a>"))
assert not grammar.validate(etree.XML("<a/>"))
for name, text in (("iso-8859-1", "é"), ("windows-1251", "ж"), ("shift_jis", "語"), ("utf-16", "語")):
    data = f'<?xml version="1.0" encoding="{name}"?><a>{text}</a>'.encode(name)
    assert etree.fromstring(data).text == text, name
    assert etree.fromstring(etree.tostring(etree.fromstring(data), encoding=name)).text == text, name
print("ok")
