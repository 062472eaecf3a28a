"""The report of a tenant and a period: one HTML page that is read in a browser, on paper or in a mail.

periods    which days a report is of, and which it is compared with
contents   its figures, read from the marts
charts     its pictures
page       its HTML
sending    who gets it, and that they get it once
"""
